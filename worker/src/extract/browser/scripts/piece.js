// The next rows of a grid that was read: { from, piece }.
return globalThis.nstoreRows.slice(input.from, input.from + input.piece);
