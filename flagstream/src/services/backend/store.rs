//! The store of cells and checkpoints, of whichever kind.

use std::sync::Arc;

#[cfg(feature = "cassandra")]
use stores::cassandra::CassandraStore;
#[cfg(feature = "dynamodb")]
use stores::dynamodb::DynamoStore;
use stores::embedded::Embedded;
use tokio::sync::watch;

use super::embedded;
use crate::config::{Settings, kept};

/// An open store.
pub enum Store {
    /// A file in the data directory.
    Embedded(Arc<Embedded>),
    /// The same, which is in trouble whenever a switch says so, and so is kept apart from its state like a store elsewhere.
    #[cfg(feature = "oldpath")]
    Troubled {
        /// The file.
        inner: Arc<Embedded>,
        /// The face that all others see.
        face: Arc<dyn stores::Store>,
    },
    /// DynamoDB.
    #[cfg(feature = "dynamodb")]
    DynamoDb(Arc<DynamoStore>),
    /// Cassandra.
    #[cfg(feature = "cassandra")]
    Cassandra(Arc<CassandraStore>),
}

impl Store {
    /// Opens it; an embedded one is made where there is none.
    ///
    /// # Errors
    /// What is wrong with it, and what to try.
    pub async fn open(settings: &Settings) -> anyhow::Result<Self> {
        match &settings.store {
            kept::Store::Embedded => Ok(Self::embedded(Arc::new(embedded::store(settings).await?), settings)),
            #[cfg(feature = "dynamodb")]
            kept::Store::DynamoDb(options) => Ok(Self::DynamoDb(Arc::new(DynamoStore::open(options.clone()).await?))),
            #[cfg(feature = "cassandra")]
            kept::Store::Cassandra(options) => {
                Ok(Self::Cassandra(Arc::new(CassandraStore::open((**options).clone()).await?)))
            }
        }
    }

    #[cfg(feature = "oldpath")]
    fn embedded(inner: Arc<Embedded>, settings: &Settings) -> Self {
        let Some(switch) = &settings.trouble else { return Self::Embedded(inner) };
        let face = Arc::new(stores::trouble::Troubled::new(inner.clone(), switch.clone()));
        Self::Troubled { inner, face }
    }

    #[cfg(not(feature = "oldpath"))]
    fn embedded(inner: Arc<Embedded>, _: &Settings) -> Self {
        Self::Embedded(inner)
    }

    /// As the services know it.
    pub fn shared(&self) -> Arc<dyn stores::Store> {
        match self {
            Self::Embedded(store) => store.clone(),
            #[cfg(feature = "oldpath")]
            Self::Troubled { face, .. } => face.clone(),
            #[cfg(feature = "dynamodb")]
            Self::DynamoDb(store) => store.clone(),
            #[cfg(feature = "cassandra")]
            Self::Cassandra(store) => store.clone(),
        }
    }

    /// Asks for the write units that this process has taken, where the store sells them.
    pub fn write_units(&self) -> Option<Box<dyn Fn() -> u64 + Send + Sync>> {
        match self {
            Self::Embedded(_) => None,
            #[cfg(feature = "oldpath")]
            Self::Troubled { .. } => None,
            #[cfg(feature = "dynamodb")]
            Self::DynamoDb(store) => {
                let store = Arc::clone(store);
                Some(Box::new(move || store.write_units()))
            }
            #[cfg(feature = "cassandra")]
            Self::Cassandra(_) => None,
        }
    }

    /// Why it can promise nothing any more, once that is so.
    pub fn poisoned(&self) -> Option<watch::Receiver<Option<String>>> {
        match self {
            Self::Embedded(store) => Some(store.poisoned()),
            #[cfg(feature = "oldpath")]
            Self::Troubled { inner, .. } => Some(inner.poisoned()),
            #[cfg(feature = "dynamodb")]
            Self::DynamoDb(_) => None,
            #[cfg(feature = "cassandra")]
            Self::Cassandra(_) => None,
        }
    }
}
