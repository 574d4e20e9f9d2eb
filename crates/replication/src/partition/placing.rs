//! The way of a batch into the log: validate, judge, stamp, append, take in, tell.

use vltava_core::id::Offset;
use vltava_core::record::{Batch, EndTransactionMarker, Refusal, Validated, validate};
use vltava_core::replicated::{Admission, PlaceError, PlaceTerms, Placed};

use super::producers::ProducedBatch;
use super::state::Allowed;
use super::{Partition, PartitionSettings, Shared};

impl Partition {
    pub(super) fn admission(&self) -> Result<Admission, PlaceError> {
        let settings = self.settings();
        let shared = self.shared.lock();
        let state = &shared.state;
        state.check_leading(None)?;
        state.check_failure()?;
        state.check_insync()?;
        Ok(Admission { epoch: state.epoch, end: state.end, batch_bytes_max: settings.rules.batch_size_max })
    }

    pub(super) fn place_batch(&self, batch: Batch, terms: &PlaceTerms) -> Result<Placed, PlaceError> {
        let settings = self.settings();
        // Asked before the batch is looked at, so that a client that missed a move of the leader costs little.
        self.shared.lock().state.check_leading(terms.expected_epoch)?;
        let begun = self.clock.now();
        let validated = validate(batch, &settings.rules, terms.origin, self.clock.wall())
            .map_err(|refusal| self.refused(refusal))?;
        let converted = validated.converted.then(|| self.clock.now().since(begun));
        let marker = self.marker(&validated.batch)?;
        let placed = self.append(validated, marker.as_ref(), terms, &settings)?;
        Ok(Placed { converted, ..placed })
    }

    fn append(
        &self,
        validated: Validated,
        marker: Option<&EndTransactionMarker>,
        terms: &PlaceTerms,
        settings: &PartitionSettings,
    ) -> Result<Placed, PlaceError> {
        let Validated { mut batch, log_append_time, converted: _ } = validated;
        let mut shared = self.shared.lock();
        let state = &mut shared.state;
        if let Allowed::Duplicate(first) = state.judge(&batch.header, marker, terms)? {
            let placed = shared.placed_before(&first, settings);
            if placed.sync {
                self.flush_later(&mut shared, placed.end);
            }
            return Err(PlaceError::Duplicate(placed));
        }
        state.stamp(&mut batch);
        let header = batch.header;
        let appended = match self.log.append(std::slice::from_ref(&batch)) {
            Ok(appended) => appended,
            Err(error) => {
                shared.fail(&error);
                return Err(error.into());
            }
        };
        if appended.rolled.is_some() {
            // The state is still that of the records before the new span, and so is the snapshot beside it.
            state.save_producers();
            self.write_sidecars_later();
        }
        state.appended(&header, marker, || self.log.spans());
        let sync = state.end.since(state.flushed) >= settings.flush_records;
        if sync {
            self.flush_later(&mut shared, header.next_offset());
        }
        shared.publish();
        let state = &shared.state;
        Ok(Placed {
            epoch: state.epoch,
            base: header.base_offset,
            end: state.end,
            append_time: log_append_time,
            log_start: state.start,
            sync,
            converted: None,
        })
    }

    /// What a control batch says; a coordinator's own, so that a broken one is an error of its writer.
    fn marker(&self, batch: &Batch) -> Result<Option<EndTransactionMarker>, PlaceError> {
        EndTransactionMarker::read(batch).map_err(|error| self.refused(error.into()))
    }

    fn refused(&self, refusal: Refusal) -> PlaceError {
        let code = refusal.code();
        let message = format!("{refusal} in topic partition {}", self.id);
        let records = match refusal {
            Refusal::Records { records, .. } => {
                records.into_iter().map(|record| (record.index, record.message)).collect()
            }
            _ => Vec::new(),
        };
        PlaceError::Refused { code, message, records }
    }
}

impl Shared {
    /// Where a repeated batch stands.
    fn placed_before(&self, batch: &ProducedBatch, settings: &PartitionSettings) -> Placed {
        let state = &self.state;
        let end: Offset = batch.last_offset.next();
        let sync = settings.flush_records < i64::MAX && end > state.flushed;
        Placed {
            epoch: state.epoch,
            base: batch.first_offset(),
            end,
            // Kafka tells the time of the batch that stands, whoever stamped it.
            append_time: batch.timestamp,
            log_start: state.start,
            sync,
            converted: None,
        }
    }
}
