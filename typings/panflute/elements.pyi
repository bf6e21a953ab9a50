RAW_FORMATS: frozenset[str]
