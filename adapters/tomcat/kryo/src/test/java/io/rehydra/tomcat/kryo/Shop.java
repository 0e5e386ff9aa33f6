package io.rehydra.tomcat.kryo;

import java.io.Externalizable;
import java.io.IOException;
import java.io.ObjectInput;
import java.io.ObjectInputStream;
import java.io.ObjectOutput;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Classes such as applications keep in their sessions. */
final class Shop {

    enum Size {
        SMALL, LARGE {
            @Override
            public String toString() {
                return "large";
            }
        }
    }

    static class Named implements Serializable {
        private static final long serialVersionUID = 1;
        private final String name;

        Named(String name) {
            this.name = name;
        }

        String name() {
            return name;
        }
    }

    static class Item extends Named {
        private static final long serialVersionUID = 2;
        public int count;
        private final String name;
        private final Size size;
        transient Object cached = "set by the constructor";
        Cart cart;

        Item(String name, int count, Size size) {
            super("named " + name);
            this.name = name;
            this.count = count;
            this.size = size;
        }

        @Override
        public String toString() {
            return count + " " + name + " " + size + " " + name();
        }
    }

    static class Cart implements Serializable {
        private static final long serialVersionUID = 3;
        final List<Item> items = new ArrayList<>();
        final Map<String, Item> byName = new HashMap<>();
        double[] prices = {1.5, 2.5};
        Item[][] grid;

        void add(Item item) {
            item.cart = this;
            items.add(item);
            byName.put(item.name, item);
        }

        class Inner implements Serializable {
            private static final long serialVersionUID = 4;

            Cart outer() {
                return Cart.this;
            }
        }
    }

    /** Extends a collection and has a field of its own. */
    static class Labels extends ArrayList<String> {
        private static final long serialVersionUID = 5;
        String title = "none";
    }

    /** Its name is as long as that of Named and ends alike. */
    static class Armed implements Serializable {
        private static final long serialVersionUID = 6;
        transient String made = "by the constructor";

        private void readObject(ObjectInputStream in) throws IOException, ClassNotFoundException {
            in.defaultReadObject();
            made = "by readObject";
        }
    }

    static class Outside implements Externalizable {
        @Override
        public void writeExternal(ObjectOutput out) {
            throw new IllegalStateException("asked for");
        }

        @Override
        public void readExternal(ObjectInput in) {
            throw new IllegalStateException("asked for");
        }
    }

    /** Not Serializable: holding one must not make Kryo write it. */
    static class Service {
        final String address = "10.0.0.1";
    }

    static class HoldsService implements Serializable {
        private static final long serialVersionUID = 7;
        final Service service = new Service();
    }

    static class BelowService extends Service implements Serializable {
        private static final long serialVersionUID = 8;
    }

    private Shop() {
    }
}
