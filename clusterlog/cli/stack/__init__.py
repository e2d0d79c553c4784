"""The search stack and a shop in containers: its files written, checked before it is started, watched and ended."""
