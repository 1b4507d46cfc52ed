import de.bwaldvogel.mongo.backend.AbstractUniqueIndex;
import de.bwaldvogel.mongo.backend.IndexKey;
import de.bwaldvogel.mongo.backend.KeyValue;
import de.bwaldvogel.mongo.backend.Missing;
import de.bwaldvogel.mongo.bson.Document;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.h2.mvstore.Cursor;
import org.h2.mvstore.MVMap;

/**
 * A unique index that also finds a range of texts.
 *
 * The emulator's own finds single keys, and reads the whole collection for a range: verification asks for fifty ranges of
 * a million documents. What is found here is a candidate; the collection holds each against the whole query.
 */
final class RangeIndex extends AbstractUniqueIndex<Object> {
    private static final String FROM = "$gte";
    private static final String BELOW = "$lt";
    private static final String NOT = "$not";

    private final MVMap<KeyValue, Object> map;

    RangeIndex(MVMap<KeyValue, Object> map, String name, List<IndexKey> keys, boolean sparse) {
        super(name, keys, sparse);
        this.map = map;
    }

    @Override
    public synchronized boolean canHandle(Document query) {
        return conditionOf(query) != null || super.canHandle(query);
    }

    @Override
    public synchronized Iterable<Object> getPositions(Document query) {
        Document condition = conditionOf(query);
        if (condition == null) {
            return super.getPositions(query);
        }
        if (condition.get(NOT) instanceof Document excluded) {
            return outside((String) excluded.get(FROM));
        }
        Object from = condition.get(FROM);
        Object end = condition.get(BELOW);
        return between(from == null ? null : new KeyValue(from), end == null ? null : new KeyValue(end));
    }

    /** The condition of a query on this index alone that asks for texts from one on, below one, or for all but those. */
    private Document conditionOf(Document query) {
        if (keys().size() != 1 || query.size() != 1 || !(query.get(keys().get(0)) instanceof Document condition)) {
            return null;
        }
        Document bounds = condition;
        if (condition.keySet().equals(Set.of(NOT)) && condition.get(NOT) instanceof Document excluded) {
            bounds = excluded.keySet().equals(Set.of(FROM)) ? excluded : new Document();
        }
        boolean isRange = !bounds.isEmpty() && Set.of(FROM, BELOW).containsAll(bounds.keySet());
        return isRange && bounds.values().stream().allMatch(String.class::isInstance) ? condition : null;
    }

    /** The end too, where there is a document: the collection leaves it out. */
    private List<Object> between(KeyValue from, KeyValue end) {
        List<Object> found = new ArrayList<>();
        Cursor<KeyValue, Object> cursor = map.cursor(from, end, false);
        while (cursor.hasNext()) {
            cursor.next();
            found.add(cursor.getValue());
        }
        return found;
    }

    /** Keys of other types stand before and behind texts. */
    private List<Object> outside(String from) {
        List<Object> found = new ArrayList<>();
        Cursor<KeyValue, Object> cursor = map.cursor(null, null, false);
        while (cursor.hasNext()) {
            if (!(cursor.next().get(0) instanceof String text && text.compareTo(from) >= 0)) {
                found.add(cursor.getValue());
            }
        }
        return found;
    }

    @Override
    protected Object removeDocument(KeyValue key) {
        return map.remove(key);
    }

    @Override
    protected boolean putKeyPosition(KeyValue key, Object position) {
        return map.putIfAbsent(key, Missing.ofNullable(position)) == null;
    }

    @Override
    protected Iterable<Map.Entry<KeyValue, Object>> getIterable() {
        return map.entrySet();
    }

    @Override
    protected Object getPosition(KeyValue key) {
        return map.get(key);
    }

    @Override
    public boolean isEmpty() {
        return map.isEmpty();
    }

    @Override
    public long getCount() {
        return map.sizeAsLong();
    }

    @Override
    public long getDataSize() {
        return getCount();
    }
}
