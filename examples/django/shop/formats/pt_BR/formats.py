"""As in Brazil, with seconds."""

DATETIME_FORMAT = "d/m/Y H:i:s"
