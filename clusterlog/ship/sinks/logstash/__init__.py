"""Three ways into Logstash: its http and beats inputs, which acknowledge, and lines over TCP, which nobody does."""
