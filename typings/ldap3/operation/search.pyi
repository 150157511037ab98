from typing import Any, Final

MATCH_EQUAL: Final[int]

class FilterNode:
    elements: list[FilterNode]
    tag: int
    assertion: dict[str, Any]

def parse_filter(
    search_filter: str, schema: None, auto_escape: bool, auto_encode: bool, validator: None, check_names: bool
) -> FilterNode: ...
