package rehydra;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;

/** A session attribute as applications have them: a bean with a list of beans. */
public class Basket implements Serializable {

    private static final long serialVersionUID = 1;

    private final List<Item> items = new ArrayList<>();
    public int changes;

    /** One thing in a basket. */
    public static class Item implements Serializable {

        private static final long serialVersionUID = 1;

        private final String name;
        private final Basket basket;

        Item(Basket basket, String name) {
            this.basket = basket;
            this.name = name;
        }
    }

    public synchronized void add(String name) {
        items.add(new Item(this, name));
        changes++;
    }

    @Override
    public synchronized String toString() {
        StringBuilder out = new StringBuilder().append(changes);
        for (Item item : items) {
            out.append(',').append(item.basket == this ? item.name : "an item of another basket");
        }
        return out.toString();
    }
}
