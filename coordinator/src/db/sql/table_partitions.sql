-- How the table $1 is cut: the columns of its partition key, whether a default partition takes the rest, and the
-- condition of each partition.
SELECT pg_get_partkeydef(p.partrelid) AS key,
    p.partdefid <> 0 AS has_default,
    ARRAY(SELECT a.attname::text
          FROM unnest(p.partattrs::int2[]) WITH ORDINALITY AS k (attnum, place)
          LEFT JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = k.attnum AND k.attnum > 0
          ORDER BY k.place) AS columns,
    ARRAY(SELECT pg_get_partition_constraintdef(i.inhrelid)
          FROM pg_inherits i WHERE i.inhparent = p.partrelid) AS conditions
FROM pg_partitioned_table p
WHERE p.partrelid = $1
