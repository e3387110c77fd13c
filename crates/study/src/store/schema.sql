-- What a run folder's cells are, how far they have come and what they found.
-- Results are copies of the cells' own files: this database can be deleted and
-- is made again from them.

-- A study as it was run, with everything resolved.
CREATE TABLE IF NOT EXISTS run (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    -- Digest of the resolved study, the backbone and its number types.
    digest TEXT NOT NULL UNIQUE,
    -- The resolved study, JSON.
    study TEXT NOT NULL,
    backbone TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    -- Version, device and threads, JSON.
    environment TEXT NOT NULL,
    started TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- A piece of work. Studies in one folder share cells of the same address.
CREATE TABLE IF NOT EXISTS cell (
    -- Address: digest of all that decides the result.
    digest TEXT PRIMARY KEY,
    -- teach, distill, train, develop, choose, evaluate or transfer.
    kind TEXT NOT NULL,
    -- Below cells/.
    folder TEXT NOT NULL,
    task TEXT,
    seed INTEGER NOT NULL,
    -- All that decides the result, JSON.
    config TEXT NOT NULL,
    planned_steps INTEGER NOT NULL,
    planned_rows INTEGER NOT NULL,
    planned_memory INTEGER NOT NULL,
    -- waiting, running, done, failed or skipped.
    state TEXT NOT NULL DEFAULT 'waiting',
    -- Why it failed or was skipped.
    error TEXT,
    -- Which process runs it; its lock file is workers/<worker>.lock.
    worker TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    -- Steps (or examples) done, of how many.
    step INTEGER NOT NULL DEFAULT 0,
    steps INTEGER NOT NULL DEFAULT 0,
    -- Seconds of training steps or of answering.
    seconds REAL,
    trainable INTEGER,
    bytes INTEGER,
    peak_memory INTEGER,
    -- Mean loss per target token on the development examples.
    dev_loss REAL,
    -- The chosen learning rate.
    rate REAL,
    notes TEXT
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS cell_needs (
    cell TEXT NOT NULL REFERENCES cell(digest),
    position INTEGER NOT NULL,
    -- teacher, metaprompt, adapter, rate or candidate.
    role TEXT NOT NULL,
    needs TEXT NOT NULL REFERENCES cell(digest),
    PRIMARY KEY (cell, position)
) WITHOUT ROWID;

-- The cells of a study, and how it makes them.
CREATE TABLE IF NOT EXISTS run_cell (
    run INTEGER NOT NULL REFERENCES run(id),
    cell TEXT NOT NULL REFERENCES cell(digest),
    position INTEGER NOT NULL,
    recipe TEXT NOT NULL,
    PRIMARY KEY (run, cell)
) WITHOUT ROWID;

-- Entries of a study's tables and the cells that fill them.
CREATE TABLE IF NOT EXISTS place (
    run INTEGER NOT NULL REFERENCES run(id),
    position INTEGER NOT NULL,
    cell TEXT NOT NULL REFERENCES cell(digest),
    task TEXT NOT NULL,
    method TEXT NOT NULL,
    -- 0-shot, 16-shot, full.
    shots TEXT NOT NULL,
    seed INTEGER NOT NULL,
    -- Name of an ablation and its value; empty for the study itself.
    ablation TEXT NOT NULL DEFAULT '',
    value TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (run, position)
) WITHOUT ROWID;

-- What a run uses of its tasks' corpora, and what it leaves out.
CREATE TABLE IF NOT EXISTS split_use (
    run INTEGER NOT NULL REFERENCES run(id),
    task TEXT NOT NULL,
    -- train, dev or test.
    split TEXT NOT NULL,
    -- Examples that the reader found.
    read INTEGER NOT NULL,
    -- Of these, the ones that the study's limits leave.
    chosen INTEGER NOT NULL,
    -- Left out because they are longer than the token limit and may not be cut;
    -- here and below, each window of a text counts.
    skipped INTEGER NOT NULL,
    used INTEGER NOT NULL,
    -- Of these, the ones shortened to the token limit.
    cut INTEGER NOT NULL,
    PRIMARY KEY (run, task, split)
) WITHOUT ROWID;

-- Scores from 0 to 1 with their intervals, which are those that the study asked
-- for when its results were last put together; position 0 is the task's own
-- metric.
CREATE TABLE IF NOT EXISTS score (
    cell TEXT NOT NULL REFERENCES cell(digest),
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    value REAL NOT NULL,
    low REAL NOT NULL,
    high REAL NOT NULL,
    PRIMARY KEY (cell, position)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS label_score (
    cell TEXT NOT NULL REFERENCES cell(digest),
    label TEXT NOT NULL,
    gold INTEGER NOT NULL,
    predicted INTEGER NOT NULL,
    correct INTEGER NOT NULL,
    precision REAL NOT NULL,
    recall REAL NOT NULL,
    f1 REAL NOT NULL,
    PRIMARY KEY (cell, label)
) WITHOUT ROWID;

-- The main table: one row per study, task, method, shots and seed.
CREATE VIEW IF NOT EXISTS main_table AS
SELECT run.name AS study, run.id AS run, place.task, place.method, place.shots,
       place.seed, score.name AS metric, score.value, score.low, score.high,
       cell.state, cell.error, cell.folder
FROM place
JOIN run ON run.id = place.run
JOIN cell ON cell.digest = place.cell
LEFT JOIN score ON score.cell = place.cell AND score.position = 0
WHERE place.ablation = ''
ORDER BY place.run, place.position;

-- The same, means over seeds.
CREATE VIEW IF NOT EXISTS mean_table AS
SELECT study, run, task, method, shots, metric, avg(value) AS mean,
       min(value) AS lowest, max(value) AS highest, count(value) AS seeds
FROM main_table
GROUP BY run, task, method, shots, metric;

-- The ablations: one row per value, task, method, shots and seed.
CREATE VIEW IF NOT EXISTS ablation_table AS
SELECT run.name AS study, run.id AS run, place.ablation, place.value AS setting,
       place.task, place.method, place.shots, place.seed, score.name AS metric,
       score.value, score.low, score.high, cell.state, cell.folder
FROM place
JOIN run ON run.id = place.run
JOIN cell ON cell.digest = place.cell
LEFT JOIN score ON score.cell = place.cell AND score.position = 0
WHERE place.ablation <> ''
ORDER BY place.run, place.position;
