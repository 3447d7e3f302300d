-- A role's own limits must not end a long COPY; waiting for others' locks is limited instead.
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL client_min_messages = warning;
