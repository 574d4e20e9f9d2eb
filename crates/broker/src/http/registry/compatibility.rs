//! Whether a schema would get along with those that are there.

use serde::Serialize;
use vltava_connect::schema::registry::RegistryError;
use vltava_connect::schema::registry::plan::{Options, SchemaRequest};
use vltava_connect::schema::registry::state::Filter;

use super::call::version;
use super::reply::Reply;
use super::{Answered, Asked};

#[derive(Serialize)]
struct Verdict {
    is_compatible: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<String>>,
}

impl Asked<'_> {
    /// Against one version, or against those that the level asks for.
    pub(super) async fn check(&self, name: &str, number: Option<&str>) -> Answered {
        let request: SchemaRequest = self.call.json()?;
        let state = self.state().await?;
        let subject = self.subject(&state, name);
        let number = number.map(version).transpose()?;
        if let Some(number) = number.filter(|number| *number > 0)
            && state.version(&subject, number, Filter::Live).is_none()
        {
            return Err(RegistryError::VersionNotFound(number).into());
        }
        let options = Options { normalize: self.call.flag("normalize"), ..Options::default() };
        let checked = self
            .node
            .registry
            .plan(self.node, move |planner| planner.check(&subject, &request, options, number))
            .await;
        let verbose = self.call.flag("verbose");
        let messages = match checked {
            Err(RegistryError::InvalidSchema(why)) if verbose => vec![why],
            checked => checked?,
        };
        Ok(Reply::json(&Verdict {
            is_compatible: messages.is_empty(),
            messages: verbose.then_some(messages),
        }))
    }
}
