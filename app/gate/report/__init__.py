"""The report: what the reporters print, the service keeps and the pages show. It is data, and knows nothing of the
rest of the gate."""
