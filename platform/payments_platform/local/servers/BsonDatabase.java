import de.bwaldvogel.mongo.MongoCollection;
import de.bwaldvogel.mongo.backend.CollectionOptions;
import de.bwaldvogel.mongo.backend.CursorRegistry;
import de.bwaldvogel.mongo.backend.EmptyIndex;
import de.bwaldvogel.mongo.backend.Index;
import de.bwaldvogel.mongo.backend.IndexKey;
import de.bwaldvogel.mongo.backend.KeyValue;
import de.bwaldvogel.mongo.backend.ValueComparator;
import de.bwaldvogel.mongo.backend.h2.H2Database;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.bson.BsonDecoder;
import de.bwaldvogel.mongo.wire.bson.BsonEncoder;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.ByteBuffer;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.h2.mvstore.DataUtils;
import org.h2.mvstore.MVMap;
import org.h2.mvstore.MVStore;
import org.h2.mvstore.WriteBuffer;
import org.h2.mvstore.type.BasicDataType;

/**
 * A database whose documents and keys lie in the store as BSON.
 *
 * By itself the emulator stores Java objects: a key is serialized for each comparison, a page of documents for each
 * look into it, and at each start every collection is read twice for each index that it does not keep.
 */
final class BsonDatabase extends H2Database {
    private static final String DOCUMENTS = "databases.";
    private static final String INDEX = "._index_";

    /** Set before the constructor above asks for its first collection. One store is all that a server opens. */
    private static MVStore store;

    private BsonDatabase(String name, CursorRegistry cursors) {
        super(name, store, cursors);
    }

    static synchronized BsonDatabase open(String name, MVStore in, CursorRegistry cursors) {
        store = in;
        return new BsonDatabase(name, cursors);
    }

    /** The store hands out a map that is open already, with the types that it was opened with. */
    @Override
    protected MongoCollection<Object> openOrCreateCollection(String name, CollectionOptions options) {
        store.openMap(DOCUMENTS + getFullCollectionNamespace(name), new MVMap.Builder<Object, Document>().valueType(new Documents()));
        return super.openOrCreateCollection(name, options);
    }

    @Override
    protected Index<Object> openOrCreateUniqueIndex(String collection, String name, List<IndexKey> keys, boolean sparse) {
        String map = getFullCollectionNamespace(collection) + INDEX + name;
        return new RangeIndex(store.openMap(map, new MVMap.Builder<KeyValue, Object>().keyType(new Keys())), name, keys, sparse);
    }

    @Override
    protected Index<Object> openOrCreateSecondaryIndex(String collection, String name, List<IndexKey> keys, boolean sparse) {
        return new EmptyIndex<>(name, keys) {
            /** An empty index would be filled from the whole collection, with nothing. */
            @Override
            public boolean isEmpty() {
                return false;
            }
        };
    }

    private static void write(WriteBuffer out, Document document) {
        ByteBuf bytes = Unpooled.buffer(1024);
        BsonEncoder.encodeDocument(document, bytes);
        out.putVarInt(bytes.readableBytes()).put(bytes.nioBuffer());
    }

    private static Document read(ByteBuffer in) {
        int length = DataUtils.readVarInt(in);
        ByteBuffer bytes = in.slice(in.position(), length);
        in.position(in.position() + length);
        return BsonDecoder.decodeBson(Unpooled.wrappedBuffer(bytes));
    }

    /** About the bytes that a value takes on the heap, names too: by these the store splits pages and counts its cache. */
    private static int memory(Object value) {
        int bytes = 32;
        if (value instanceof String text) {
            bytes += 24 + text.length();
        } else if (value instanceof Map<?, ?> document) {
            bytes += 128;
            for (Object each : document.values()) {
                bytes += 112 + memory(each);
            }
        } else if (value instanceof Collection<?> list) {
            for (Object each : list) {
                bytes += 8 + memory(each);
            }
        }
        return bytes;
    }

    private static final class Documents extends BasicDataType<Document> {
        @Override
        public int getMemory(Document document) {
            return memory(document);
        }

        @Override
        public void write(WriteBuffer out, Document document) {
            BsonDatabase.write(out, document);
        }

        @Override
        public Document read(ByteBuffer in) {
            return BsonDatabase.read(in);
        }

        @Override
        public Document[] createStorage(int size) {
            return new Document[size];
        }
    }

    private static final class Keys extends BasicDataType<KeyValue> {
        private static final String VALUES = "v";

        @Override
        public int compare(KeyValue one, KeyValue other) {
            int order = Integer.compare(one.size(), other.size());
            for (int place = 0; order == 0 && place < one.size(); place++) {
                order = ValueComparator.ascWithoutListHandling().compare(one.get(place), other.get(place));
            }
            return order;
        }

        @Override
        public int getMemory(KeyValue key) {
            return 32 + key.stream().mapToInt(BsonDatabase::memory).sum();
        }

        @Override
        public void write(WriteBuffer out, KeyValue key) {
            BsonDatabase.write(out, new Document(VALUES, key.stream().toList()));
        }

        @Override
        public KeyValue read(ByteBuffer in) {
            return new KeyValue((Collection<?>) BsonDatabase.read(in).get(VALUES));
        }

        @Override
        public KeyValue[] createStorage(int size) {
            return new KeyValue[size];
        }
    }
}
