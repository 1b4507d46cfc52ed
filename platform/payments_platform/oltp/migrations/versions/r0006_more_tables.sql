-- Devices, refunds, disputes, subscriptions and consents. Loose like the first tables: bad values must be survived.

CREATE TABLE oltp.devices (
    device_id text PRIMARY KEY,
    customer_id text,
    device_token text UNIQUE,
    device_type text,
    os_name text,
    browser_name text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    version integer NOT NULL,
    updated_at timestamptz NOT NULL,
    load_id text
);

CREATE TABLE oltp.refunds (
    refund_id text PRIMARY KEY,
    transaction_id text,
    merchant_id text,
    amount_minor bigint,
    currency text,
    reason_code text,
    status text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    version integer NOT NULL,
    updated_at timestamptz NOT NULL,
    load_id text
);

CREATE TABLE oltp.disputes (
    dispute_id text PRIMARY KEY,
    transaction_id text,
    merchant_id text,
    amount_minor bigint,
    currency text,
    reason_code text,
    status text,
    evidence_due_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    version integer NOT NULL,
    updated_at timestamptz NOT NULL,
    load_id text
);

CREATE TABLE oltp.subscriptions (
    subscription_id text PRIMARY KEY,
    merchant_id text,
    customer_id text,
    customer_token text,
    plan_code text,
    billing_interval text,
    amount_minor bigint,
    currency text,
    status text,
    period_start_at timestamptz,
    period_end_at timestamptz,
    canceled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    version integer NOT NULL,
    updated_at timestamptz NOT NULL,
    load_id text
);

CREATE TABLE oltp.consents (
    consent_id text PRIMARY KEY,
    customer_id text,
    customer_token text,
    purpose text,
    is_granted boolean,
    channel text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    version integer NOT NULL,
    updated_at timestamptz NOT NULL,
    load_id text
);

CREATE INDEX devices_customer_id ON oltp.devices (customer_id);
CREATE INDEX refunds_transaction_id ON oltp.refunds (transaction_id);
CREATE INDEX disputes_transaction_id ON oltp.disputes (transaction_id);
CREATE INDEX subscriptions_customer_id ON oltp.subscriptions (customer_id);
CREATE INDEX consents_customer_id ON oltp.consents (customer_id);

-- A captured table is one that has a history; nothing else lists them.
CREATE FUNCTION oltp.captured_tables() RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT left(relname, -length('_history'))::text FROM pg_class
     WHERE relnamespace = 'oltp'::regnamespace AND relkind = 'p' AND relname LIKE '%\_history'
     ORDER BY relname
$$;

-- Gives a table what every captured table has: the row trigger that stamps versions, the history with its default
-- partition, and the statement triggers that fill it. A table with a status keeps the one before it in its history.
-- checked: for each reference that is looked up when a version is written, the column and the table that has its key,
-- as '<column>=<table>'; the outcome is kept as is_<entity>_known, null when the row names nothing.
CREATE FUNCTION oltp.capture(table_name text, key text, immutables text[], checked text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $capture$
DECLARE
    immutable text;
    reference text;
    immutable_test text := '';
    flag_list text := '';
    flag_values text := '';
    flag_nulls text := '';
    reference_joins text := '';
    has_status boolean;
    names text;
    new_values text;
    old_values text;
BEGIN
    FOREACH immutable IN ARRAY immutables LOOP
        immutable_test := immutable_test || format($test$
        IF NEW.%1$I IS DISTINCT FROM OLD.%1$I THEN
            RAISE EXCEPTION '%1$s of %2$s %% cannot change: it was fixed when the row was created', OLD.%3$I
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;$test$, immutable, table_name, key);
    END LOOP;
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
$function$, table_name, immutable_test);

    SELECT bool_or(attname = 'status'),
           string_agg(quote_ident(attname), ', ' ORDER BY attnum),
           string_agg('n.' || quote_ident(attname), ', ' ORDER BY attnum),
           string_agg(CASE attname WHEN 'version' THEN 'o.version + 1' WHEN 'updated_at' THEN 'deleted_at'
                      WHEN 'load_id' THEN 'oltp.delete_load_id()' ELSE 'o.' || quote_ident(attname) END,
                      ', ' ORDER BY attnum)
      INTO has_status, names, new_values, old_values
      FROM pg_attribute
     WHERE attrelid = format('oltp.%I', table_name)::regclass AND attnum > 0 AND NOT attisdropped;

    EXECUTE format('CREATE TABLE oltp.%1$I (LIKE oltp.%2$I, op text NOT NULL%3$s) PARTITION BY RANGE (updated_at)',
        table_name || '_history', table_name, CASE WHEN has_status THEN ', previous_status text' ELSE '' END);
    EXECUTE format('CREATE TABLE oltp.%I PARTITION OF oltp.%I DEFAULT',
        table_name || '_history_default', table_name || '_history');
    FOREACH reference IN ARRAY checked LOOP
        DECLARE
            named text := split_part(reference, '=', 1);
            entity text := regexp_replace(named, '_id$', '');
        BEGIN
            EXECUTE format('ALTER TABLE oltp.%I ADD COLUMN %I boolean', table_name || '_history', 'is_' || entity || '_known');
            flag_list := flag_list || format(', is_%s_known', entity);
            flag_values := flag_values
                || format(', CASE WHEN n.%1$I IS NOT NULL THEN known_%2$s.%1$I IS NOT NULL END', named, entity);
            flag_nulls := flag_nulls || ', NULL';
            reference_joins := reference_joins || format(' LEFT JOIN oltp.%1$I known_%2$s ON known_%2$s.%3$I = n.%3$I',
                split_part(reference, '=', 2), entity, named);
        END;
    END LOOP;

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
        INSERT INTO oltp.%1$s_history (%3$s, op%6$s%7$s)
        SELECT %4$s, 'c'%8$s%9$s FROM new_rows n%11$s;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO oltp.%1$s_history (%3$s, op%6$s%7$s)
        SELECT %4$s, 'u'%12$s%9$s FROM new_rows n JOIN old_rows o ON o.%2$I = n.%2$I%11$s;
    ELSE
        deleted_at := oltp.delete_time();
        INSERT INTO oltp.retired_keys SELECT '%1$s', o.%2$I FROM old_rows o;
        INSERT INTO oltp.%1$s_history (%3$s, op%6$s%7$s)
        SELECT %5$s, 'd'%12$s%10$s FROM old_rows o;
    END IF;
    RETURN NULL;
END $body$;
CREATE TRIGGER record_insert AFTER INSERT ON oltp.%1$I REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION oltp.record_%1$s();
CREATE TRIGGER record_update AFTER UPDATE ON oltp.%1$I REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION oltp.record_%1$s();
CREATE TRIGGER record_delete AFTER DELETE ON oltp.%1$I REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION oltp.record_%1$s();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON oltp.%1$I
    FOR EACH STATEMENT EXECUTE FUNCTION oltp.refuse_change('truncated rows would leave no history; delete them');
ALTER TABLE oltp.%1$I REPLICA IDENTITY FULL;
$function$, table_name, key, names, new_values, old_values,
        CASE WHEN has_status THEN ', previous_status' ELSE '' END, flag_list,
        CASE WHEN has_status THEN ', NULL' ELSE '' END, flag_values, flag_nulls, reference_joins,
        CASE WHEN has_status THEN ', o.status' ELSE '' END);
END $capture$;

SELECT oltp.capture('devices', 'device_id', '{device_id,device_token,customer_id,created_at}', '{customer_id=customers}');
SELECT oltp.capture('refunds', 'refund_id', '{refund_id,transaction_id,merchant_id,currency,created_at}',
    '{transaction_id=transaction_keys}');
SELECT oltp.capture('disputes', 'dispute_id', '{dispute_id,transaction_id,merchant_id,currency,created_at}',
    '{transaction_id=transaction_keys}');
SELECT oltp.capture('subscriptions', 'subscription_id',
    '{subscription_id,merchant_id,customer_id,customer_token,created_at}', '{customer_id=customers,merchant_id=merchants}');
SELECT oltp.capture('consents', 'consent_id', '{consent_id,customer_id,customer_token,purpose,created_at}',
    '{customer_id=customers}');

-- A payment's history also says whether its device was known, and what kind it was: all that may outlive its identifier.
ALTER TABLE oltp.transactions_history
    ADD COLUMN is_device_known boolean,
    ADD COLUMN device_type text,
    ADD COLUMN os_name text,
    ADD COLUMN browser_name text;

DO $migration$
DECLARE
    column_list text;
    new_list text;
    delete_list text;
    insert_target text;
    references_known text;
    on_insert text;
    on_update text;
BEGIN
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum),
           string_agg('n.' || quote_ident(attname), ', ' ORDER BY attnum),
           string_agg(CASE attname WHEN 'version' THEN 'o.version + 1' WHEN 'updated_at' THEN 'deleted_at'
                      WHEN 'load_id' THEN 'oltp.delete_load_id()' ELSE 'o.' || quote_ident(attname) END,
                      ', ' ORDER BY attnum)
      INTO column_list, new_list, delete_list
      FROM pg_attribute
     WHERE attrelid = 'oltp.transactions'::regclass AND attnum > 0 AND NOT attisdropped;
    insert_target := format('INSERT INTO oltp.transactions_history (%s, op, previous_status, is_customer_known,'
        ' is_merchant_known, is_payment_method_known, is_device_known, device_type, os_name, browser_name) ', column_list);
    references_known := $sql$,
               CASE WHEN n.customer_id IS NOT NULL THEN c.customer_id IS NOT NULL END,
               CASE WHEN n.merchant_id IS NOT NULL THEN m.merchant_id IS NOT NULL END,
               CASE WHEN n.payment_method_id IS NOT NULL THEN p.payment_method_id IS NOT NULL END,
               CASE WHEN n.device_id IS NOT NULL THEN d.device_id IS NOT NULL END,
               d.device_type, d.os_name, d.browser_name
          FROM new_rows n
          LEFT JOIN oltp.customers c ON c.customer_id = n.customer_id
          LEFT JOIN oltp.merchants m ON m.merchant_id = n.merchant_id
          LEFT JOIN oltp.payment_methods p ON p.payment_method_id = n.payment_method_id
          LEFT JOIN oltp.devices d ON d.device_id = n.device_id$sql$;
    on_insert := insert_target || 'SELECT ' || new_list || ', ''c'', NULL' || references_known;
    on_update := insert_target || 'SELECT ' || new_list || ', ''u'', o.status' || references_known
        || ' JOIN old_rows o ON o.transaction_id = n.transaction_id';
    -- A cached plan made for one row joins a hundred thousand in a nested loop, and planning each one-row statement
    -- anew costs more than the statement: so few rows use the cached plan, many are planned anew.
    EXECUTE format($function$
CREATE OR REPLACE FUNCTION oltp.record_transactions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    deleted_at timestamptz;
    detail text;
    are_few boolean;
BEGIN
    IF TG_OP = 'DELETE' THEN
        deleted_at := oltp.delete_time();
        %1$s SELECT %2$s, 'd', o.status, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM old_rows o;
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
END $migration$;

-- Partitions follow the captured tables, whichever there are.
CREATE OR REPLACE FUNCTION oltp.ensure_partitions(first_day date, last_day date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    lower_day date := greatest(first_day, oltp.partition_floor());
    upper_day date := least(last_day, oltp.partition_ceiling());
    this_day date;
    captured text;
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
    FOR captured IN SELECT oltp.captured_tables() LOOP
        this_day := lower_day;
        WHILE this_day <= upper_day LOOP
            IF oltp.ensure_partition(captured || '_history', captured || '_history_p' || to_char(this_day, 'YYYYMMDD'),
                                     this_day::timestamptz, (this_day + 1)::timestamptz, false, 'updated_at') THEN
                made := made + 1;
            END IF;
            this_day := this_day + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

CREATE OR REPLACE FUNCTION oltp.default_partition_rows() RETURNS TABLE (table_name text, row_count bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    FOR table_name IN SELECT 'transactions' UNION ALL SELECT captured || '_history' FROM oltp.captured_tables() captured LOOP
        EXECUTE format('SELECT count(*) FROM oltp.%I', table_name || '_default') INTO row_count;
        RETURN NEXT;
    END LOOP;
END $$;

-- History that was kept already has days of its own: the new histories get the same ones, and none between.
SELECT oltp.ensure_partitions(kept, kept)
  FROM (SELECT DISTINCT to_date(right(relname, 8), 'YYYYMMDD') AS kept FROM pg_class
         WHERE relnamespace = 'oltp'::regnamespace AND relname ~ '^transactions_history_p[0-9]{8}$') AS days;

-- Access, as the first tables have it.
REVOKE ALL ON FUNCTION oltp.captured_tables(), oltp.capture(text, text, text[], text[]) FROM PUBLIC;
DO $migration$
DECLARE
    captured text;
BEGIN
    FOREACH captured IN ARRAY '{devices,refunds,disputes,subscriptions,consents}'::text[] LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION oltp.stamp_%1$s(), oltp.record_%1$s() FROM PUBLIC', captured);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON oltp.%I TO payments_app, payments_loader', captured);
        EXECUTE format('GRANT MAINTAIN ON oltp.%I TO payments_loader', captured);
        EXECUTE format('GRANT SELECT ON oltp.%1$I, oltp.%2$I TO payments_extract', captured, captured || '_history');
        EXECUTE format('GRANT SELECT ON oltp.%I TO payments_capture', captured);
        EXECUTE format('ALTER TABLE oltp.%I ENABLE ROW LEVEL SECURITY', captured);
        EXECUTE format('CREATE POLICY loader_all ON oltp.%I TO payments_loader USING (true) WITH CHECK (true)', captured);
        EXECUTE format('CREATE POLICY extract_reads_all ON oltp.%I FOR SELECT TO payments_extract USING (true)', captured);
        EXECUTE format('CREATE POLICY capture_reads_all ON oltp.%I FOR SELECT TO payments_capture USING (true)', captured);
        EXECUTE format('ALTER PUBLICATION payments_changes ADD TABLE oltp.%I', captured);
    END LOOP;
    -- A service that acts for one merchant sees no other merchant's refunds, disputes and subscriptions either.
    FOREACH captured IN ARRAY '{refunds,disputes,subscriptions}'::text[] LOOP
        EXECUTE format($policy$CREATE POLICY app_scope ON oltp.%I TO payments_app
            USING (coalesce(current_setting('payments.merchant_scope', true), '') IN ('', merchant_id))
            WITH CHECK (coalesce(current_setting('payments.merchant_scope', true), '') IN ('', merchant_id))$policy$, captured);
    END LOOP;
    FOREACH captured IN ARRAY '{devices,consents}'::text[] LOOP
        EXECUTE format('CREATE POLICY app_all ON oltp.%I TO payments_app USING (true) WITH CHECK (true)', captured);
    END LOOP;
END $migration$;
