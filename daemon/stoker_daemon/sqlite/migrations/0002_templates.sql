-- What a job's items are made by: the recipe's name, and the template as it was when the job came, once for all its likes.

CREATE TABLE templates (
    template_key INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
    body BLOB NOT NULL
) STRICT;

ALTER TABLE jobs ADD COLUMN recipe TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN template_key INTEGER REFERENCES templates;
CREATE INDEX jobs_template ON jobs (template_key) WHERE template_key IS NOT NULL;
