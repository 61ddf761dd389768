"""Panels: pictures of a session. ``view`` is pure and carries the tests; everything else brings its frames to a screen."""
