-- Row versions and history. Per captured table:
--   stamp_<table>()   BEFORE INSERT OR UPDATE, per row: version 1, 2, …; updated_at; load_id; immutables refused.
--   record_<table>()  AFTER, per statement: every insert, update and delete goes to <table>_history.
-- The row trigger also gives each row of a COPY its own WAL position. Rows that share one are lost by a change reader
-- that restarts among them, so no bulk load may switch these triggers off.

-- The role that writes, also inside a function that runs as its owner.
CREATE FUNCTION oltp.writing_role() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog
AS $$ SELECT CASE current_setting('role') WHEN 'none' THEN session_user::text ELSE current_setting('role') END $$;

-- The time of a delete. The loader replays the past and names its own; 'row' has no meaning without a new row.
CREATE FUNCTION oltp.delete_time() RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog
AS $$
DECLARE
    event_time text := current_setting('payments.event_time', true);
BEGIN
    IF oltp.writing_role() <> 'payments_loader' OR event_time IS NULL OR event_time = '' THEN
        RETURN clock_timestamp();
    END IF;
    IF event_time = 'row' THEN
        RAISE EXCEPTION 'a delete has no row to take its time from: set payments.event_time to a timestamp';
    END IF;
    RETURN event_time::timestamptz;
END $$;

CREATE FUNCTION oltp.delete_load_id() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog
AS $$ SELECT CASE WHEN oltp.writing_role() = 'payments_loader' THEN nullif(current_setting('payments.load_id', true), '') END $$;

DO $migration$
DECLARE
    captured record;
    immutable text;
    column_list text;
    new_list text;
    delete_list text;
    immutable_test text;
    insert_target text;
    references_known text;
    on_insert text;
    on_update text;
BEGIN
    FOR captured IN
        SELECT * FROM (VALUES
            ('merchants', 'merchant_id', '{merchant_id,created_at}'::text[]),
            ('customers', 'customer_id', '{customer_id,customer_token,token_key_id,created_at}'),
            ('payment_methods', 'payment_method_id', '{payment_method_id,customer_id,created_at}'),
            ('transactions', 'transaction_id',
             '{transaction_id,created_at,currency,customer_id,customer_token,merchant_id}')
        ) AS list(table_name, key, immutables)
    LOOP
        immutable_test := '';
        FOREACH immutable IN ARRAY captured.immutables LOOP
            immutable_test := immutable_test || format($test$
        IF NEW.%1$I IS DISTINCT FROM OLD.%1$I THEN
            RAISE EXCEPTION '%2$s of %3$s %% cannot change: it was fixed when the row was created', OLD.%4$I
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;$test$, immutable, immutable, captured.table_name, captured.key);
        END LOOP;

        -- No SET search_path here: it costs a microsecond a row, and the function runs with the writer's own rights.
        EXECUTE format($function$
CREATE FUNCTION oltp.stamp_%1$s() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    event_time text;
BEGIN
    IF TG_OP = 'UPDATE' THEN%2$s
        NEW.version := OLD.version + 1;
    ELSE
        NEW.version := 1;
    END IF;
    IF current_user <> 'payments_loader' THEN
        NEW.updated_at := pg_catalog.clock_timestamp();
        NEW.load_id := NULL;
        RETURN NEW;
    END IF;
    event_time := pg_catalog.current_setting('payments.event_time', true);
    NEW.load_id := nullif(pg_catalog.current_setting('payments.load_id', true), '');
    IF event_time = 'row' THEN
        NEW.updated_at := coalesce(NEW.updated_at, NEW.created_at);
    ELSIF event_time <> '' THEN
        NEW.updated_at := event_time::timestamptz;
    ELSE
        NEW.updated_at := pg_catalog.clock_timestamp();
    END IF;
    RETURN NEW;
END $body$;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON oltp.%1$I FOR EACH ROW EXECUTE FUNCTION oltp.stamp_%1$s();
ALTER TABLE oltp.%1$I ENABLE ALWAYS TRIGGER stamp;
$function$, captured.table_name, immutable_test);

        EXECUTE format('CREATE TABLE oltp.%1$I (LIKE oltp.%2$I, op text NOT NULL) PARTITION BY RANGE (updated_at)',
            captured.table_name || '_history', captured.table_name);
        IF captured.table_name = 'transactions' THEN
            ALTER TABLE oltp.transactions_history
                ADD COLUMN previous_status text,
                ADD COLUMN is_customer_known boolean,
                ADD COLUMN is_merchant_known boolean,
                ADD COLUMN is_payment_method_known boolean;
        END IF;
        EXECUTE format('CREATE TABLE oltp.%I PARTITION OF oltp.%I DEFAULT',
            captured.table_name || '_history_default', captured.table_name || '_history');

        SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum),
               string_agg('n.' || quote_ident(attname), ', ' ORDER BY attnum),
               string_agg(CASE attname WHEN 'version' THEN 'o.version + 1' WHEN 'updated_at' THEN 'deleted_at'
                          WHEN 'load_id' THEN 'oltp.delete_load_id()' ELSE 'o.' || quote_ident(attname) END,
                          ', ' ORDER BY attnum)
          INTO column_list, new_list, delete_list
          FROM pg_attribute
         WHERE attrelid = format('oltp.%I', captured.table_name)::regclass AND attnum > 0 AND NOT attisdropped;

        IF captured.table_name <> 'transactions' THEN
            EXECUTE format($function$
CREATE FUNCTION oltp.record_%1$s() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    deleted_at timestamptz;
    reused text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT n.%2$I INTO reused FROM new_rows n
          JOIN oltp.retired_keys r ON r.table_name = '%1$s' AND r.key = n.%2$I LIMIT 1;
        IF reused IS NOT NULL THEN
            RAISE EXCEPTION '%2$s %% belonged to a deleted row and is never used again', reused
                USING ERRCODE = 'unique_violation';
        END IF;
        INSERT INTO oltp.%1$s_history (%3$s, op) SELECT %4$s, 'c' FROM new_rows n;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO oltp.%1$s_history (%3$s, op) SELECT %4$s, 'u' FROM new_rows n;
    ELSE
        deleted_at := oltp.delete_time();
        INSERT INTO oltp.retired_keys SELECT '%1$s', o.%2$I FROM old_rows o;
        INSERT INTO oltp.%1$s_history (%3$s, op) SELECT %5$s, 'd' FROM old_rows o;
    END IF;
    RETURN NULL;
END $body$;
$function$, captured.table_name, captured.key, column_list, new_list, delete_list);
        ELSE
            insert_target := format('INSERT INTO oltp.transactions_history (%s, op, previous_status,'
                ' is_customer_known, is_merchant_known, is_payment_method_known) ', column_list);
            references_known := $sql$,
               CASE WHEN n.customer_id IS NOT NULL THEN c.customer_id IS NOT NULL END,
               CASE WHEN n.merchant_id IS NOT NULL THEN m.merchant_id IS NOT NULL END,
               CASE WHEN n.payment_method_id IS NOT NULL THEN p.payment_method_id IS NOT NULL END
          FROM new_rows n
          LEFT JOIN oltp.customers c ON c.customer_id = n.customer_id
          LEFT JOIN oltp.merchants m ON m.merchant_id = n.merchant_id
          LEFT JOIN oltp.payment_methods p ON p.payment_method_id = n.payment_method_id$sql$;
            on_insert := insert_target || 'SELECT ' || new_list || ', ''c'', NULL' || references_known;
            on_update := insert_target || 'SELECT ' || new_list || ', ''u'', o.status' || references_known
                || ' JOIN old_rows o ON o.transaction_id = n.transaction_id';
            -- A cached plan made for one row joins a hundred thousand in a nested loop, and planning each one-row
            -- statement anew costs more than the statement: so few rows use the cached plan, many are planned anew.
            EXECUTE format($function$
CREATE FUNCTION oltp.record_transactions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    deleted_at timestamptz;
    detail text;
    are_few boolean;
BEGIN
    IF TG_OP = 'DELETE' THEN
        deleted_at := oltp.delete_time();
        %1$s SELECT %2$s, 'd', o.status, NULL, NULL, NULL FROM old_rows o;
        RETURN NULL;
    END IF;
    are_few := (SELECT count(*) < 100 FROM (SELECT FROM new_rows LIMIT 100) first_rows);
    IF TG_OP = 'INSERT' THEN
        BEGIN
            INSERT INTO oltp.transaction_keys (transaction_id, created_at)
            SELECT n.transaction_id, n.created_at FROM new_rows n;
        EXCEPTION WHEN unique_violation THEN
            GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
            RAISE EXCEPTION 'a transaction id is unique over all months and never used again: %%', detail
                USING ERRCODE = 'unique_violation';
        END;
        IF are_few THEN
            %3$s;
        ELSE
            EXECUTE $sql$%3$s$sql$;
        END IF;
    ELSIF are_few THEN
        %4$s;
    ELSE
        EXECUTE $sql$%4$s$sql$;
    END IF;
    RETURN NULL;
END $body$;
$function$, insert_target, delete_list, on_insert, on_update);
        END IF;

        EXECUTE format($trigger$
CREATE TRIGGER record_insert AFTER INSERT ON oltp.%1$I REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION oltp.record_%1$s();
CREATE TRIGGER record_update AFTER UPDATE ON oltp.%1$I REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION oltp.record_%1$s();
CREATE TRIGGER record_delete AFTER DELETE ON oltp.%1$I REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION oltp.record_%1$s();
$trigger$, captured.table_name);
    END LOOP;
END $migration$;

-- History, keys and rates only grow; nothing is emptied behind the history's back.
CREATE FUNCTION oltp.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %.% is refused: %', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0]
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON oltp.exchange_rates
    FOR EACH STATEMENT EXECUTE FUNCTION oltp.refuse_change('a rate once fixed never changes; add the rate of another day');

DO $migration$
DECLARE
    guarded text;
BEGIN
    FOREACH guarded IN ARRAY '{merchants,customers,payment_methods,transactions,exchange_rates}'::text[] LOOP
        EXECUTE format($trigger$CREATE TRIGGER never_truncated BEFORE TRUNCATE ON oltp.%I
            FOR EACH STATEMENT EXECUTE FUNCTION oltp.refuse_change('truncated rows would leave no history; delete them')$trigger$,
            guarded);
    END LOOP;
END $migration$;
