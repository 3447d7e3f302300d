// What the page keeps in its origin's localStorage.
return { origin: location.origin, entries: Object.entries(localStorage) };
