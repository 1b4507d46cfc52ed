-- Partitions: months of transactions, days of history, and the default partitions that catch what fits no other.

-- Dates outside are no business dates (year 1, year 9999): their rows stay in the default partition, so that one
-- absurd row cannot create a partition for every day of two thousand years.
CREATE FUNCTION oltp.partition_floor() RETURNS date LANGUAGE sql IMMUTABLE AS $$ SELECT date '2010-01-01' $$;
CREATE FUNCTION oltp.partition_ceiling() RETURNS date LANGUAGE sql STABLE AS $$ SELECT current_date + 400 $$;

-- Creates one partition if it is missing. Rows of its range that went to the default partition move into it. The
-- default is detached meanwhile: it is then in no publication, so change readers see neither a delete nor an insert.
CREATE FUNCTION oltp.ensure_partition(parent text, partition text, lower timestamptz, upper timestamptz, is_full boolean, by_column text)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    has_rows boolean;
BEGIN
    IF to_regclass(format('oltp.%I', partition)) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM oltp.%I WHERE %I >= %L AND %I < %L)',
        parent || '_default', by_column, lower, by_column, upper) INTO has_rows;
    IF has_rows THEN
        EXECUTE format('ALTER TABLE oltp.%I DETACH PARTITION oltp.%I', parent, parent || '_default');
    END IF;
    EXECUTE format('CREATE TABLE oltp.%I (LIKE oltp.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition, parent);
    IF has_rows THEN
        EXECUTE format('WITH moved AS (DELETE FROM oltp.%I WHERE %I >= %L AND %I < %L RETURNING *) INSERT INTO oltp.%I SELECT * FROM moved',
            parent || '_default', by_column, lower, by_column, upper, partition);
    END IF;
    IF is_full THEN
        EXECUTE format('ALTER TABLE oltp.%I REPLICA IDENTITY FULL', partition);
    END IF;
    EXECUTE format('ALTER TABLE oltp.%I ATTACH PARTITION oltp.%I FOR VALUES FROM (%L) TO (%L)', parent, partition, lower, upper);
    IF has_rows THEN
        EXECUTE format('ALTER TABLE oltp.%I ATTACH PARTITION oltp.%I DEFAULT', parent, parent || '_default');
    END IF;
    RETURN true;
END $$;

-- Creates what is missing for the days [first_day, last_day]; returns how many partitions it made. Safe to repeat and
-- to run at the same time as another.
CREATE FUNCTION oltp.ensure_partitions(first_day date, last_day date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    lower_day date := greatest(first_day, oltp.partition_floor());
    upper_day date := least(last_day, oltp.partition_ceiling());
    this_day date;
    history text;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('oltp.ensure_partitions'));
    this_day := date_trunc('month', lower_day)::date;
    WHILE this_day <= upper_day LOOP
        IF oltp.ensure_partition('transactions', 'transactions_p' || to_char(this_day, 'YYYYMM'), this_day::timestamptz,
                                 (this_day + interval '1 month')::timestamptz, true, 'created_at') THEN
            made := made + 1;
        END IF;
        this_day := (this_day + interval '1 month')::date;
    END LOOP;
    FOREACH history IN ARRAY '{merchants_history,customers_history,payment_methods_history,transactions_history}'::text[] LOOP
        this_day := lower_day;
        WHILE this_day <= upper_day LOOP
            IF oltp.ensure_partition(history, history || '_p' || to_char(this_day, 'YYYYMMDD'), this_day::timestamptz,
                                     (this_day + 1)::timestamptz, false, 'updated_at') THEN
                made := made + 1;
            END IF;
            this_day := this_day + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

-- Rows that no month or day took: watched, because extraction by day scans the default partition for each day.
CREATE FUNCTION oltp.default_partition_rows() RETURNS TABLE (table_name text, row_count bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    FOREACH table_name IN ARRAY
        '{transactions,transactions_history,merchants_history,customers_history,payment_methods_history}'::text[]
    LOOP
        EXECUTE format('SELECT count(*) FROM oltp.%I', table_name || '_default') INTO row_count;
        RETURN NEXT;
    END LOOP;
END $$;

-- Detaches history older than the days kept and hands the tables to the schema oltp_archive; returns their names.
CREATE SCHEMA IF NOT EXISTS oltp_archive;
CREATE FUNCTION oltp.detach_history(keep_days integer, today date DEFAULT current_date) RETURNS SETOF text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old record;
BEGIN
    IF keep_days < 1 THEN
        RAISE EXCEPTION 'keep_days must be at least 1, got %', keep_days;
    END IF;
    FOR old IN
        SELECT parent.relname AS parent, child.relname AS child
          FROM pg_inherits i
          JOIN pg_class parent ON parent.oid = i.inhparent
          JOIN pg_class child ON child.oid = i.inhrelid
         WHERE parent.relnamespace = 'oltp'::regnamespace AND parent.relname LIKE '%\_history'
           AND child.relname ~ '_p[0-9]{8}$' AND to_date(right(child.relname, 8), 'YYYYMMDD') < today - keep_days
         ORDER BY 2
    LOOP
        EXECUTE format('ALTER TABLE oltp.%I DETACH PARTITION oltp.%I', old.parent, old.child);
        EXECUTE format('ALTER TABLE oltp.%I SET SCHEMA oltp_archive', old.child);
        RETURN NEXT old.child;
    END LOOP;
END $$;

CREATE INDEX transactions_created_at ON oltp.transactions USING brin (created_at);
