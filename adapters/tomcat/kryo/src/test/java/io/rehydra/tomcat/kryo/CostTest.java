package io.rehydra.tomcat.kryo;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.util.concurrent.Callable;

import org.junit.jupiter.api.Test;

/** What Kryo is for: the cart of the README's figures, side by side with Java serialisation. Times are printed, sizes are held. */
class CostTest {

    private static Shop.Cart cart(int items) {
        Shop.Cart cart = new Shop.Cart();
        for (int i = 0; i < items; i++) {
            cart.add(new Shop.Item("item " + i, i, Shop.Size.SMALL));
        }
        return cart;
    }

    private static byte[] writeJava(Object value) throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(256);
        try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
            out.writeObject(value);
        }
        return bytes.toByteArray();
    }

    private static Object readJava(byte[] bytes) throws Exception {
        try (ObjectInputStream in = new ObjectInputStream(new ByteArrayInputStream(bytes))) {
            return in.readObject();
        }
    }

    /** Microseconds of one call; the best of some rounds. */
    private static double micros(Callable<?> call) throws Exception {
        double best = Double.MAX_VALUE;
        for (int round = 0; round < 8; round++) {
            long start = System.nanoTime();
            for (int i = 0; i < 500; i++) {
                call.call();
            }
            best = Math.min(best, (System.nanoTime() - start) / 500e3);
        }
        return best;
    }

    @Test
    void comparesWithJava() throws Exception {
        KryoSerializer kryo = new KryoSerializer();
        ClassLoader loader = getClass().getClassLoader();
        for (int items : new int[] {3, 30}) {
            Shop.Cart cart = cart(items);
            byte[] java = writeJava(cart);
            byte[] fast = kryo.write(cart);
            System.out.printf("%d items: %d bytes, java %d; write %.1f us, java %.1f; read %.1f us, java %.1f%n", items, fast.length, java.length,
                    micros(() -> kryo.write(cart)), micros(() -> writeJava(cart)), micros(() -> kryo.read(fast, loader, null)),
                    micros(() -> readJava(java)));
            assertTrue(fast.length < java.length, fast.length + " bytes, Java " + java.length);
        }
    }
}
