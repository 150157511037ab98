"""HTML read with positions: a tokenizer over the original text, attributes, character references."""
