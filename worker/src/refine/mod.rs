//! Pages -> mapped, typed, checked rows -> CSV bytes; quality figures.
