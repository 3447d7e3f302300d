-- Rows and checksum by day, whatever the order of the rows.
-- A row's text is every column as V<bytes>:<value>; or N; for NULL; its checksum the first 60 bits of the sha256.
SELECT
    {day} AS day,
    count(*) AS rows,
    sum(('x' || substr(encode(sha256(convert_to({row}, 'UTF8')), 'hex'), 1, 15))::bit(60)::bigint)::text AS checksum
FROM {table}
GROUP BY 1
ORDER BY 1
