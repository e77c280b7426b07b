//! A statement that works through the rows of a staging table, whatever rows the table refuses.
//!
//! It cuts its work smaller and smaller until each refused row stands alone. That happens inside one `DO` block, whose handlers are
//! subtransactions, so the rows that went back carry ids of these and not that of the transaction: a mark that each of them writes
//! tells which they are.

use crate::{rows::obstacle::Triggers, server::identifier::quote_literal};

/// What is worked through.
#[derive(Debug, Clone)]
pub struct Pieces {
    /// The staging table.
    pub stage: String,
    /// Its column with the place of the row in the copy, quoted.
    pub place: String,
    /// Which table of the merge it is.
    pub position: usize,
    /// Whether rows that were refused for their parent are tried again, for it can be among them.
    pub again: bool,
}

impl Pieces {
    /// The `DO` statement. `work` writes those rows `s` of the staging table whose `ctid` is at least `lifeboat_low` and before
    /// `lifeboat_high`.
    pub fn statement(&self, work: &str, triggers: Triggers) -> String {
        let role = if triggers == Triggers::Skip { "SET LOCAL session_replication_role = replica; " } else { "" };
        let back = if triggers == Triggers::Skip { " SET LOCAL session_replication_role = origin;" } else { "" };
        let body = BODY
            .replace("{insert}", work)
            .replace("{role}", role)
            .replace("{back}", back)
            .replace("{again}", if self.again { "lifeboat_left_over" } else { "0" })
            .replace("{stage}", &self.stage)
            .replace("{place}", &self.place)
            .replace("{position}", &self.position.to_string());
        format!("DO {}", quote_literal(&body))
    }
}

/// Works through pieces of the staging table, at first one that is the whole. A piece that the table refuses is cut into
/// eight, at last into rows, and a row that is refused is set aside. Rows of a table that references itself may find their
/// parent in a second pass. Its names begin so that no column of a table is called the same.
const BODY: &str = "
DECLARE
  lifeboat_firsts bigint[]; lifeboat_lasts bigint[]; lifeboat_places tid[] := ARRAY[NULL::tid]; lifeboat_at int := 0;
  lifeboat_first bigint; lifeboat_last bigint; lifeboat_place tid; lifeboat_low tid; lifeboat_high tid;
  lifeboat_done bigint; lifeboat_before bigint; lifeboat_left_over bigint; lifeboat_row record;
BEGIN
  lifeboat_firsts := ARRAY[0];
  lifeboat_lasts := ARRAY[pg_relation_size('{stage}') / current_setting('block_size')::bigint + 1];
  LOOP
    WHILE lifeboat_at < cardinality(lifeboat_firsts) LOOP
      lifeboat_at := lifeboat_at + 1;
      lifeboat_first := lifeboat_firsts[lifeboat_at]; lifeboat_last := lifeboat_lasts[lifeboat_at];
      lifeboat_place := lifeboat_places[lifeboat_at];
      lifeboat_low := coalesce(lifeboat_place, format('(%s,0)', lifeboat_first)::tid);
      lifeboat_high := CASE WHEN lifeboat_place IS NULL THEN format('(%s,0)', lifeboat_last)
                            ELSE format('(%s,%s)', lifeboat_first, lifeboat_last) END::tid;
      BEGIN
        {role}{insert};
        GET DIAGNOSTICS lifeboat_done = ROW_COUNT;{back}
        IF lifeboat_done > 0 THEN INSERT INTO lifeboat_marks VALUES ({position}, lifeboat_done); END IF;
      EXCEPTION WHEN integrity_constraint_violation OR data_exception OR with_check_option_violation OR raise_exception THEN
        IF lifeboat_place IS NOT NULL THEN
          INSERT INTO lifeboat_left
          SELECT {position}, s.{place}, CASE SQLSTATE WHEN '23503' THEN 'gone' ELSE 'refused' END, NULL, left(SQLERRM, 200)
            FROM {stage} AS s WHERE s.ctid = lifeboat_place;
        ELSIF lifeboat_last - lifeboat_first > 1 THEN
          FOR lifeboat_row IN
            SELECT n AS first, least(n + (lifeboat_last - lifeboat_first + 7) / 8, lifeboat_last) AS last
              FROM generate_series(lifeboat_first, lifeboat_last - 1, (lifeboat_last - lifeboat_first + 7) / 8) AS n
          LOOP
            lifeboat_firsts := lifeboat_firsts || lifeboat_row.first; lifeboat_lasts := lifeboat_lasts || lifeboat_row.last;
            lifeboat_places := array_append(lifeboat_places, NULL::tid);
          END LOOP;
        ELSE
          FOR lifeboat_row IN SELECT s.ctid AS place FROM {stage} AS s WHERE s.ctid >= lifeboat_low AND s.ctid < lifeboat_high LOOP
            lifeboat_firsts := lifeboat_firsts || lifeboat_first;
            lifeboat_lasts := lifeboat_lasts || split_part(trim(both '()' from lifeboat_row.place::text), ',', 2)::bigint + 1;
            lifeboat_places := array_append(lifeboat_places, lifeboat_row.place);
          END LOOP;
        END IF;
      END;
    END LOOP;
    SELECT count(*) INTO lifeboat_left_over FROM lifeboat_left AS l
     WHERE l.position = {position} AND l.kind = 'gone' AND l.why IS NOT NULL;
    EXIT WHEN {again} = 0 OR lifeboat_left_over >= lifeboat_before;
    lifeboat_before := lifeboat_left_over;
    FOR lifeboat_row IN
      SELECT s.ctid AS place, trim(both '()' from s.ctid::text) AS text FROM {stage} AS s JOIN lifeboat_left AS l ON l.place = s.{place}
       WHERE l.position = {position} AND l.kind = 'gone' AND l.why IS NOT NULL
    LOOP
      lifeboat_firsts := lifeboat_firsts || split_part(lifeboat_row.text, ',', 1)::bigint;
      lifeboat_lasts := lifeboat_lasts || split_part(lifeboat_row.text, ',', 2)::bigint + 1;
      lifeboat_places := array_append(lifeboat_places, lifeboat_row.place);
    END LOOP;
    DELETE FROM lifeboat_left AS l WHERE l.position = {position} AND l.kind = 'gone' AND l.why IS NOT NULL;
  END LOOP;
END";
