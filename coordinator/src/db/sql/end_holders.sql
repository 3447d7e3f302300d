-- Ends the backends of our own role that hold the advisory lock of $1.
WITH wanted AS (SELECT hashtextextended($1, 0) AS key)
SELECT count(pg_terminate_backend(l.pid))
FROM wanted, pg_locks l
JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory'
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.classid = ((wanted.key >> 32) & 4294967295)::oid
  AND l.objid = (wanted.key & 4294967295)::oid
  AND l.objsubid = 1
  AND l.granted
  AND a.usename = current_user
  AND l.pid <> pg_backend_pid()
