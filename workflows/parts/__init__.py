"""What kinds of studies share: pieces of planning, each a pure function of plan and results."""
