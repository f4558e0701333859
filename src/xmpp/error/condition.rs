//! The defined conditions of a stanza error (RFC 6120 §8.3.3).

use minidom::Element;

use super::{ErrorType, StanzaError};

/// Makes [`Condition`], its names and types, and the constructors of [`StanzaError`], from rows
/// of: meaning, variant, constructor, name on the wire, usual type.
macro_rules! conditions {
    (
        plain { $($(#[$doc:meta])+ $variant:ident $new:ident $name:literal $kind:ident;)+ }
        moved { $($(#[$moved_doc:meta])+ $moved:ident $moved_new:ident $moved_name:literal $moved_kind:ident;)+ }
    ) => {
        /// What is wrong with a stanza: the defined conditions of RFC 6120 §8.3.3.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Condition {
            $($(#[$doc])+ $variant,)+
            $($(#[$moved_doc])+ $moved(Option<String>),)+
        }

        impl Condition {
            /// The name of the condition's element.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                    $(Self::$moved(_) => $moved_name,)+
                }
            }

            /// The type that the RFC gives the condition; of two, the first it names.
            pub fn usual_type(&self) -> ErrorType {
                match self {
                    $(Self::$variant => ErrorType::$kind,)+
                    $(Self::$moved(_) => ErrorType::$moved_kind,)+
                }
            }

            /// The new address that `gone` and `redirect` may carry, a URI.
            pub fn address(&self) -> Option<&str> {
                match self {
                    $(Self::$moved(address) => address.as_deref(),)+
                    _ => None,
                }
            }

            /// Reads the element of a condition; one that the RFC does not define is undefined.
            pub(super) fn read(element: &Element) -> Self {
                match element.name() {
                    $($name => Self::$variant,)+
                    $($moved_name => {
                        Self::$moved(Some(element.text()).filter(|address| !address.is_empty()))
                    })+
                    _ => Self::UndefinedCondition,
                }
            }
        }

        impl StanzaError {
            $(#[doc = concat!("`", $name, "`, of the usual type.")]
            pub fn $new() -> Self {
                Self::new(Condition::$variant)
            })+
            $(#[doc = concat!("`", $moved_name, "`, of the usual type, with the new address if it is known.")]
            pub fn $moved_new(address: Option<String>) -> Self {
                Self::new(Condition::$moved(address))
            })+
        }
    };
}

conditions! {
    plain {
        /// The stanza is not as its schema or protocol wants it.
        BadRequest bad_request "bad-request" Modify;
        /// Something of that name or address exists already.
        Conflict conflict "conflict" Cancel;
        /// The receiver knows what is asked, but does not do it.
        FeatureNotImplemented feature_not_implemented "feature-not-implemented" Cancel;
        /// The sender lacks the permission.
        Forbidden forbidden "forbidden" Auth;
        /// The server failed in a way that is its own fault.
        InternalServerError internal_server_error "internal-server-error" Cancel;
        /// No such address or item.
        ItemNotFound item_not_found "item-not-found" Cancel;
        /// An address is not one (RFC 7622).
        JidMalformed jid_malformed "jid-malformed" Modify;
        /// What is asked does not meet the receiver's criteria.
        NotAcceptable not_acceptable "not-acceptable" Modify;
        /// Nobody may do that.
        NotAllowed not_allowed "not-allowed" Cancel;
        /// Credentials are needed first.
        NotAuthorized not_authorized "not-authorized" Auth;
        /// A local rule is violated.
        PolicyViolation policy_violation "policy-violation" Modify;
        /// The addressee is not available just now.
        RecipientUnavailable recipient_unavailable "recipient-unavailable" Wait;
        /// The sender has to register first.
        RegistrationRequired registration_required "registration-required" Auth;
        /// The addressee's server does not exist or cannot be resolved.
        RemoteServerNotFound remote_server_not_found "remote-server-not-found" Cancel;
        /// The addressee's server was not reached in time, or the connection to it was lost.
        RemoteServerTimeout remote_server_timeout "remote-server-timeout" Wait;
        /// The server is busy or lacks the resources.
        ResourceConstraint resource_constraint "resource-constraint" Wait;
        /// The service asked for is not offered; also what a server says to hide what there is.
        ServiceUnavailable service_unavailable "service-unavailable" Cancel;
        /// The sender has to subscribe first.
        SubscriptionRequired subscription_required "subscription-required" Auth;
        /// None of the others; goes with an application-specific condition.
        UndefinedCondition undefined_condition "undefined-condition" Cancel;
        /// The stanza was understood, but came out of order.
        UnexpectedRequest unexpected_request "unexpected-request" Wait;
    }
    moved {
        /// The address is no longer in use, for good; perhaps another is.
        Gone gone "gone" Cancel;
        /// Requests go to another address, for now.
        Redirect redirect "redirect" Modify;
    }
}
