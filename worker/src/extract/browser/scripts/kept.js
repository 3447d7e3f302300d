// What the page keeps in its origin's localStorage, and the values of what it keeps until its tab ends.
return { origin: location.origin, entries: Object.entries(localStorage), passing: Object.values(sessionStorage) };
