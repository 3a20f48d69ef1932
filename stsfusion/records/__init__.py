"""Settings as frozen records: YAML or a mapping in, a checked record out."""

from stsfusion.records.document import Document, Key, override, read_text, read_yaml, shown
from stsfusion.records.record import Record, load, parse

__all__ = ["Document", "Key", "Record", "load", "override", "parse", "read_text", "read_yaml", "shown"]
