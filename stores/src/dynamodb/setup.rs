//! Makes and checks the tables.
//!
//! Always true here: a table that exists is never altered, but for a time to live that is off; what an administrator
//! may run instead is made from the same list.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableDescription, TableStatus,
    TimeToLiveSpecification, TimeToLiveStatus,
};

use super::Options;
use super::client::{connect, missing, unavailable};
use super::item::{ROW, SORT, UNTIL};
use crate::Error;
use crate::table::Table;

/// How long a table may take to be made.
const MADE_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Makes the tables that are missing; answers their names.
///
/// # Errors
/// [`Error::Setting`] with what DynamoDB refused; [`Error::Unavailable`] when nobody answers, or a table is
/// not ready in time.
pub async fn set_up(options: &Options) -> Result<Vec<String>, Error> {
    let client = connect(options).await;
    make(&client, options).await.map_err(|error| with_what_to_look_at(error, options))
}

/// Where nobody answers at the start, an address or the credentials may be wrong.
fn with_what_to_look_at(error: Error, options: &Options) -> Error {
    let Error::Unavailable(why) = error else { return error };
    let look_at = match (&options.endpoint, why.contains("credential")) {
        (_, true) => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give this machine a role".into()
        }
        (Some(endpoint), false) => format!("is {endpoint}, `[store] endpoint`, right?"),
        (None, false) => "is `[store] region` right?".into(),
    };
    Error::Unavailable(format!("{why}; {look_at}"))
}

async fn make(client: &Client, options: &Options) -> Result<Vec<String>, Error> {
    let mut made = Vec::new();
    for table in Table::ALL {
        let name = options.table(table);
        if describe(client, &name).await?.is_none() {
            create(client, &name).await?;
            made.push(name.clone());
        }
        ready(client, &name).await?;
        if table == Table::Hours && !expires(client, &name).await? {
            expire(client, &name).await?;
        }
    }
    Ok(made)
}

/// The commands with which an administrator makes the tables.
#[must_use]
pub fn plan(options: &Options) -> Vec<String> {
    let place = match (&options.endpoint, &options.region) {
        (Some(endpoint), _) => format!(" --endpoint-url {endpoint}"),
        (None, Some(region)) => format!(" --region {region}"),
        (None, None) => String::new(),
    };
    let mut commands = Vec::new();
    for table in Table::ALL {
        let name = options.table(table);
        commands.push(format!(
            "aws dynamodb create-table{place} --table-name {name} --billing-mode PAY_PER_REQUEST \
             --attribute-definitions AttributeName={ROW},AttributeType=B AttributeName={SORT},AttributeType=B \
             --key-schema AttributeName={ROW},KeyType=HASH AttributeName={SORT},KeyType=RANGE"
        ));
        if table == Table::Hours {
            commands.push(format!(
                "aws dynamodb update-time-to-live{place} --table-name {name} \
                 --time-to-live-specification Enabled=true,AttributeName={UNTIL}"
            ));
        }
    }
    commands
}

/// Fails with what does not fit.
pub(super) async fn check(client: &Client, options: &Options) -> Result<(), Error> {
    fits(client, options).await.map_err(|error| with_what_to_look_at(error, options))
}

async fn fits(client: &Client, options: &Options) -> Result<(), Error> {
    for table in Table::ALL {
        let name = options.table(table);
        let Some(found) = describe(client, &name).await? else { return Err(Error::Setting(missing(&name))) };
        let keys: Vec<(&str, &KeyType)> =
            found.key_schema().iter().map(|key| (key.attribute_name(), key.key_type())).collect();
        if keys != [(ROW, &KeyType::Hash), (SORT, &KeyType::Range)] {
            return Err(Error::Setting(format!(
                "table {name} has other keys ({keys:?}) than {ROW} and {SORT}; choose another `[store] prefix`"
            )));
        }
        if table == Table::Hours && !expires(client, &name).await? {
            tracing::warn!(
                table = name,
                "time to live is off: hours are kept for ever; `flagstream setup` turns it on"
            );
        }
    }
    Ok(())
}

async fn describe(client: &Client, name: &str) -> Result<Option<TableDescription>, Error> {
    match client.describe_table().table_name(name).send().await {
        Ok(found) => Ok(found.table),
        Err(error) => match error.as_service_error().and_then(ProvideErrorMetadata::code) {
            Some("ResourceNotFoundException") => Ok(None),
            Some(
                code @ ("AccessDeniedException"
                | "UnrecognizedClientException"
                | "InvalidSignatureException"
                | "ExpiredTokenException"
                | "MissingAuthenticationTokenException"),
            ) => Err(Error::Setting(format!(
                "DynamoDB refuses these credentials ({code}) for table {name}; look at AWS_ACCESS_KEY_ID, AWS_PROFILE or \
                 the role of this machine, and at its policy"
            ))),
            _ => Err(unavailable("DescribeTable", name, &error)),
        },
    }
}

/// The policy that allows what the processes do, and nothing else. `ingest` needs none of it, `serve` no `PutItem`.
#[must_use]
pub fn policy(options: &Options) -> String {
    let region = options.region.as_deref().unwrap_or("*");
    format!(
        "{{\"Version\": \"2012-10-17\", \"Statement\": [{{\"Effect\": \"Allow\", \"Action\": [\"dynamodb:GetItem\", \
         \"dynamodb:BatchGetItem\", \"dynamodb:Query\", \"dynamodb:PutItem\", \"dynamodb:DescribeTable\", \
         \"dynamodb:DescribeTimeToLive\"], \"Resource\": \"arn:aws:dynamodb:{region}:*:table/{}*\"}}]}}",
        options.prefix
    )
}

async fn create(client: &Client, name: &str) -> Result<(), Error> {
    let wrong = |error: aws_sdk_dynamodb::error::BuildError| Error::Setting(format!("table {name}: {error}"));
    let mut ask = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (attribute, part) in [(ROW, KeyType::Hash), (SORT, KeyType::Range)] {
        let kind = AttributeDefinition::builder().attribute_name(attribute).attribute_type(ScalarAttributeType::B);
        let key = KeySchemaElement::builder().attribute_name(attribute).key_type(part);
        ask = ask.attribute_definitions(kind.build().map_err(wrong)?).key_schema(key.build().map_err(wrong)?);
    }
    match ask.send().await {
        Ok(_) => Ok(()),
        // Somebody else makes it at the same time.
        Err(error) if code_is(&error, "ResourceInUseException") => Ok(()),
        Err(error) => Err(unavailable("CreateTable", name, &error)),
    }
}

fn code_is<E: ProvideErrorMetadata, R>(error: &aws_sdk_dynamodb::error::SdkError<E, R>, code: &str) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some(code)
}

async fn ready(client: &Client, name: &str) -> Result<(), Error> {
    let waits = async {
        loop {
            let status = describe(client, name).await?.and_then(|table| table.table_status);
            if status == Some(TableStatus::Active) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let late = |_| Error::Unavailable(format!("table {name} was not ready within {MADE_WITHIN:?}"));
    tokio::time::timeout(MADE_WITHIN, waits).await.map_err(late)?
}

async fn expires(client: &Client, name: &str) -> Result<bool, Error> {
    let told = client.describe_time_to_live().table_name(name).send().await;
    let told = told.map_err(|error| unavailable("DescribeTimeToLive", name, &error))?;
    let status = told.time_to_live_description.and_then(|told| told.time_to_live_status);
    Ok(matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)))
}

async fn expire(client: &Client, name: &str) -> Result<(), Error> {
    let by = TimeToLiveSpecification::builder().enabled(true).attribute_name(UNTIL).build();
    let by = by.map_err(|error| Error::Setting(format!("table {name}: {error}")))?;
    let told = client.update_time_to_live().table_name(name).time_to_live_specification(by).send().await;
    told.map(|_| ()).map_err(|error| unavailable("UpdateTimeToLive", name, &error))
}
