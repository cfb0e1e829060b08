"""Code that is elsewhere than in a function's folder."""
