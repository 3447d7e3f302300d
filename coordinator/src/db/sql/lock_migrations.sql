SELECT pg_advisory_lock(hashtextextended('nstore migrations', 0))
