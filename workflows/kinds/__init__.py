"""The kinds of studies, a folder each: what is asked, what it computes, what it answers."""
