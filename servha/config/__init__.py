"""Files -> frozen, validated configuration, or every problem in words."""
