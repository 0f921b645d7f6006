//! The demo shop: gateway, order, payment, inventory and a card processor.
