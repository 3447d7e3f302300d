-- Whether nstore has ever been connected here to load: its schema may have been made for it beforehand.
SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'nstore' AND c.relname = 'targets')
