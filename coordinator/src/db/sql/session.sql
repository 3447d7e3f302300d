-- Each statement must see what others have committed before it took its locks.
SET LOCAL transaction_isolation = 'read committed';
-- A role's own limits must not end a long COPY; waiting for others' locks is limited instead.
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL client_min_messages = warning;
-- What was committed must outlive a crash of the server: the queue is told that it is done.
SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off';
-- Operators and functions of the system come first, whatever another schema calls by the same name.
SELECT set_config('search_path', concat_ws(', ', 'pg_catalog', nullif(current_setting('search_path'), ''), 'pg_temp'), true);
SET LOCAL datestyle = 'ISO, MDY';
SET LOCAL intervalstyle = postgres;
-- Rows are compared by their text: numbers that differ must not be written alike.
SET LOCAL extra_float_digits = 1;
