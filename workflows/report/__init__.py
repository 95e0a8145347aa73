"""What the reports of all kinds of studies share: values, provenance, citations, figures, the page."""
