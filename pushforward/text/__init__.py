"""Lines of text: tokens, vocabulary, networks, and the distribution that a decoder makes."""
