-- CREATE TABLE IF NOT EXISTS would say so at each start. Another nstore that hangs in its migrations must not hang
-- this one too; a limit that the role or database sets itself stands.
SET LOCAL client_min_messages = warning;
SELECT set_config('lock_timeout', '30s', true) WHERE current_setting('lock_timeout') = '0';
SELECT pg_advisory_xact_lock(hashtextextended('nstore migrations', 0))
