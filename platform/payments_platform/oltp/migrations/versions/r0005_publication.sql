-- What change capture may read: the captured tables, months seen as one table. Identities and history are not in it.
CREATE PUBLICATION payments_changes
    FOR TABLE oltp.merchants, oltp.customers, oltp.payment_methods, oltp.transactions
    WITH (publish = 'insert, update, delete', publish_via_partition_root = true);

ALTER TABLE oltp.merchants REPLICA IDENTITY FULL;
ALTER TABLE oltp.customers REPLICA IDENTITY FULL;
ALTER TABLE oltp.payment_methods REPLICA IDENTITY FULL;
ALTER TABLE oltp.transactions REPLICA IDENTITY FULL;
