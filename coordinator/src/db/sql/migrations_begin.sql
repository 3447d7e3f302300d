-- Held to the end of the session. CREATE TABLE IF NOT EXISTS would say so at each start.
SET client_min_messages = warning;
SELECT pg_advisory_lock(hashtextextended('nstore migrations', 0))
