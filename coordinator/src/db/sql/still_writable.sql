-- Fails on a server that takes no rows any more; the connection is given up then.
DO $$
BEGIN
    IF current_setting('transaction_read_only')::boolean THEN
        RAISE read_only_sql_transaction;
    END IF;
END
$$
