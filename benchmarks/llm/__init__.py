"""Work for servers of language models, beside one request after the other and other ways to order it."""
