-- How far each delivery has come in the partitions of its topic. For tables these rows change in the transaction that adds the
-- delivered rows. A topic is named by its id, since one of the same name that is made anew begins at 0 again.

CREATE TABLE polder_delivery_offset (
    delivery_id UUID NOT NULL,
    topic_id UUID NOT NULL,
    topic_partition BIGINT NOT NULL,
    next_offset BIGINT NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (delivery_id, topic_id, topic_partition)
);

-- What deliveries prove themselves with elsewhere, encrypted as access keys are.
CREATE TABLE polder_delivery_secret (
    delivery_id UUID NOT NULL,
    name TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (delivery_id, name)
);
