"""The templates as data: which fields events have, what servers differ in, and the bodies put together of both."""
