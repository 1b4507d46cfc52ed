-- Who may do what. Each role gets the least that its work needs; leaf partitions are granted to nobody, because the
-- history trigger sits on the root.

-- Roles that log in are made with their passwords by whoever sets up the server; a missing one is made without login,
-- so that the grants below can be written.
DO $migration$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY '{payments_app,payments_extract,payments_capture,payments_loader}'::text[] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
    -- Bulk loads pass through temporary tables.
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO payments_loader', current_database());
END $migration$;

REVOKE ALL ON SCHEMA oltp FROM PUBLIC;
REVOKE ALL ON SCHEMA oltp_archive FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA oltp FROM PUBLIC;
GRANT USAGE ON SCHEMA oltp TO payments_app, payments_extract, payments_capture, payments_loader;

-- Application: the rows of the business; identities too; no history.
GRANT SELECT ON oltp.currencies, oltp.countries, oltp.exchange_rates TO payments_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON oltp.merchants, oltp.customers, oltp.customer_identities, oltp.payment_methods,
    oltp.transactions TO payments_app;

-- Loader: as the application, and the bookkeeping of bulk loads. It may set event times (see the stamp functions).
GRANT SELECT ON oltp.currencies, oltp.countries, oltp.transaction_keys, oltp.retired_keys TO payments_loader;
GRANT SELECT, INSERT ON oltp.exchange_rates TO payments_loader;
GRANT SELECT, INSERT, UPDATE, DELETE ON oltp.merchants, oltp.customers, oltp.customer_identities, oltp.payment_methods,
    oltp.transactions, oltp.bulk_loads TO payments_loader;
GRANT MAINTAIN ON oltp.merchants, oltp.customers, oltp.payment_methods TO payments_loader;
GRANT EXECUTE ON FUNCTION oltp.ensure_partitions(date, date), oltp.default_partition_rows() TO payments_loader;

-- Extract: reads what is captured and its history. Reads no identity.
GRANT SELECT ON oltp.currencies, oltp.countries, oltp.exchange_rates, oltp.merchants, oltp.customers, oltp.payment_methods,
    oltp.transactions, oltp.merchants_history, oltp.customers_history, oltp.payment_methods_history,
    oltp.transactions_history TO payments_extract;
GRANT EXECUTE ON FUNCTION oltp.default_partition_rows() TO payments_extract;

-- Capture: reads the captured tables for its first snapshot; afterwards it reads the log.
GRANT SELECT ON oltp.merchants, oltp.customers, oltp.payment_methods, oltp.transactions TO payments_capture;

ALTER TABLE oltp.customer_identities ENABLE ROW LEVEL SECURITY;
ALTER TABLE oltp.customers ENABLE ROW LEVEL SECURITY;
ALTER TABLE oltp.payment_methods ENABLE ROW LEVEL SECURITY;
ALTER TABLE oltp.transactions ENABLE ROW LEVEL SECURITY;

-- A service that acts for one merchant sets payments.merchant_scope and sees no other merchant's payments.
CREATE POLICY app_scope ON oltp.transactions TO payments_app
    USING (coalesce(current_setting('payments.merchant_scope', true), '') IN ('', merchant_id))
    WITH CHECK (coalesce(current_setting('payments.merchant_scope', true), '') IN ('', merchant_id));
CREATE POLICY app_all ON oltp.customers TO payments_app USING (true) WITH CHECK (true);
CREATE POLICY app_all ON oltp.payment_methods TO payments_app USING (true) WITH CHECK (true);
CREATE POLICY app_all ON oltp.customer_identities TO payments_app USING (true) WITH CHECK (true);

CREATE POLICY loader_all ON oltp.transactions TO payments_loader USING (true) WITH CHECK (true);
CREATE POLICY loader_all ON oltp.customers TO payments_loader USING (true) WITH CHECK (true);
CREATE POLICY loader_all ON oltp.payment_methods TO payments_loader USING (true) WITH CHECK (true);
CREATE POLICY loader_all ON oltp.customer_identities TO payments_loader USING (true) WITH CHECK (true);

-- A role without a policy reads no row and gets no error: extract and capture need one on every table they read.
CREATE POLICY extract_reads_all ON oltp.transactions FOR SELECT TO payments_extract USING (true);
CREATE POLICY extract_reads_all ON oltp.customers FOR SELECT TO payments_extract USING (true);
CREATE POLICY extract_reads_all ON oltp.payment_methods FOR SELECT TO payments_extract USING (true);
CREATE POLICY capture_reads_all ON oltp.transactions FOR SELECT TO payments_capture USING (true);
CREATE POLICY capture_reads_all ON oltp.customers FOR SELECT TO payments_capture USING (true);
CREATE POLICY capture_reads_all ON oltp.payment_methods FOR SELECT TO payments_capture USING (true);

-- The extract role sees when other sessions' transactions began, which its consistent cut needs. Only a superuser may
-- hand this out, so a server set up by another hand must do it there.
DO $migration$
BEGIN
    IF NOT pg_has_role('payments_extract', 'pg_read_all_stats', 'member') THEN
        GRANT pg_read_all_stats TO payments_extract;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'payments_extract lacks pg_read_all_stats: run as superuser GRANT pg_read_all_stats TO payments_extract';
END $migration$;
