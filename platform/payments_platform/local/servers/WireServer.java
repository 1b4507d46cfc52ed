import de.bwaldvogel.mongo.MongoBackend;
import de.bwaldvogel.mongo.MongoDatabase;
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.List;
import org.h2.mvstore.MVStore;

/**
 * MongoDB's wire protocol on H2's store: what was acknowledged outlives a kill. Arguments: file, host, port.
 *
 * The server itself answers before its store has written anything; a killed one would forget what it had promised. Here
 * every command is committed to the file before its answer leaves. Compiled and started by mongodb.py.
 */
public final class WireServer {
    /** Rewriting fuller parts of the file than this costs more than the room that it frees. Percent. */
    private static final int FILL_RATE = 50;

    /** pymongo asks for wire version 9, which is MongoDB 4.4's; nothing newer is claimed than what is there. */
    private record Version(List<Integer> getVersionArray, int getWireVersion) implements MongoVersion {}

    public static void main(String[] words) {
        MVStore store = new MVStore.Builder().fileName(words[0]).autoCompactFillRate(FILL_RATE).open();
        H2Backend backend = new H2Backend(store) {
            @Override
            protected MongoDatabase openOrCreateDatabase(String name) {
                return BsonDatabase.open(name, getMvStore(), getCursorRegistry());
            }
        };
        backend.version(new Version(List.of(4, 4, 0), 9));
        MongoServer server = new MongoServer(committed(backend, store));
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdown));
        server.bind(words[1], Integer.parseInt(words[2]));
    }

    private static MongoBackend committed(H2Backend backend, MVStore store) {
        Class<?>[] backends = {MongoBackend.class};
        return (MongoBackend) Proxy.newProxyInstance(backends[0].getClassLoader(), backends, (self, method, arguments) -> {
            try {
                return method.invoke(backend, arguments);
            } catch (InvocationTargetException thrown) {
                throw thrown.getCause();
            } finally {
                if (method.getName().startsWith("handle")) {
                    commit(store);
                }
            }
        });
    }

    /** A store that cannot write (the disk is full) closes itself, and could be opened again by another process alone. */
    private static void commit(MVStore store) {
        try {
            if (!store.isClosed()) {
                store.commit();
            }
        } finally {
            if (store.isClosed()) {
                Runtime.getRuntime().halt(1);
            }
        }
    }
}
