"""What several settings together say of a server: its hosts, who we are to it, and which certificates are believed."""
