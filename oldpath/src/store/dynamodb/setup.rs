//! Makes and checks the table.
//!
//! Always true here: a table that exists is never altered; what an administrator may run instead says the same.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableDescription, TableStatus,
};

use super::{Options, ROW, SORT};
use crate::Error;
use crate::aws::{self, code, error};

/// How long a table may take to be made.
const MADE_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Makes the table when it is missing; answers its name then.
///
/// # Errors
/// [`Error::Setting`] with what DynamoDB refused; [`Error::Unavailable`] when nobody answers, or the table is not ready
/// in time.
pub async fn set_up(options: &Options) -> Result<Option<String>, Error> {
    let client = Client::new(&aws::settings(&options.place).await);
    let name = options.table();
    let is_missing = describe(&client, &name).await?.is_none();
    if is_missing {
        create(&client, &name).await?;
    }
    let waits = async {
        loop {
            let status = describe(&client, &name).await?.and_then(|table| table.table_status);
            if status == Some(TableStatus::Active) {
                return Ok(is_missing.then_some(name.clone()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let late = |_| Error::Unavailable(format!("table {name} was not ready within {MADE_WITHIN:?}"));
    tokio::time::timeout(MADE_WITHIN, waits).await.map_err(late)?
}

/// The commands with which an administrator makes the table.
#[must_use]
pub fn plan(options: &Options) -> Vec<String> {
    let place = options.place.as_option();
    let name = options.table();
    vec![format!(
        "aws dynamodb create-table{place} --table-name {name} --billing-mode PAY_PER_REQUEST \
         --attribute-definitions AttributeName={ROW},AttributeType=B AttributeName={SORT},AttributeType=B \
         --key-schema AttributeName={ROW},KeyType=HASH AttributeName={SORT},KeyType=RANGE"
    )]
}

/// The policy that allows what writer, worker and readers do, and nothing else.
#[must_use]
pub fn policy(options: &Options) -> String {
    let region = options.place.region.as_deref().unwrap_or("*");
    format!(
        "{{\"Version\": \"2012-10-17\", \"Statement\": [{{\"Effect\": \"Allow\", \"Action\": [\"dynamodb:UpdateItem\", \
         \"dynamodb:Query\", \"dynamodb:DescribeTable\"], \"Resource\": \"arn:aws:dynamodb:{region}:*:table/{}\"}}]}}",
        options.table()
    )
}

/// Fails with what does not fit.
pub(super) async fn check(client: &Client, name: &str) -> Result<(), Error> {
    let Some(found) = describe(client, name).await? else {
        return Err(Error::Setting(format!(
            "there is no table {name}; make it with `flagstream setup`, or look at `[store] prefix`, `region` and \
             `endpoint`"
        )));
    };
    let keys: Vec<(&str, &KeyType)> =
        found.key_schema().iter().map(|key| (key.attribute_name(), key.key_type())).collect();
    if keys != [(ROW, &KeyType::Hash), (SORT, &KeyType::Range)] {
        let what = format!("table {name} has other keys ({keys:?}) than {ROW} and {SORT}");
        return Err(Error::Setting(format!("{what}; choose another `[store] prefix`")));
    }
    Ok(())
}

async fn describe(client: &Client, name: &str) -> Result<Option<TableDescription>, Error> {
    match client.describe_table().table_name(name).send().await {
        Ok(found) => Ok(found.table),
        Err(got) if code(&got) == Some("ResourceNotFoundException") => Ok(None),
        Err(got) => Err(error(&format!("DescribeTable of {name}"), &got)),
    }
}

async fn create(client: &Client, name: &str) -> Result<(), Error> {
    let wrong = |error: BuildError| Error::Setting(format!("table {name}: {error}"));
    let mut ask = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (attribute, part) in [(ROW, KeyType::Hash), (SORT, KeyType::Range)] {
        let kind = AttributeDefinition::builder().attribute_name(attribute).attribute_type(ScalarAttributeType::B);
        let key = KeySchemaElement::builder().attribute_name(attribute).key_type(part);
        ask = ask.attribute_definitions(kind.build().map_err(wrong)?).key_schema(key.build().map_err(wrong)?);
    }
    match ask.send().await {
        Ok(_) => Ok(()),
        // Somebody else makes it at the same time.
        Err(got) if code(&got) == Some("ResourceInUseException") => Ok(()),
        Err(got) => Err(error(&format!("CreateTable of {name}"), &got)),
    }
}
